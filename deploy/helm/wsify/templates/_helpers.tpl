{{- define "wsify.name" -}}
{{- if contains "wsify" .Release.Name }}{{ .Release.Name }}{{ else }}{{ printf "%s-wsify" .Release.Name | trunc 55 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "wsify.selector" -}}
app.kubernetes.io/name: wsify
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "wsify.labels" -}}
{{ include "wsify.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* What the schema cannot refuse. */}}
{{- define "wsify.check" -}}
{{- $pods := .Values.autoscaling.enabled | ternary .Values.autoscaling.maxReplicas .Values.replicas | int }}
{{- if and (gt $pods 1) (eq (index .Values.settings "broker-driver" | default "memory") "memory") }}
{{- fail "more than one pod: settings.broker-driver has to be redis or nats, so that every client hears every publication" }}
{{- end }}
{{- if lt (int .Values.autoscaling.maxReplicas) (int .Values.autoscaling.minReplicas) }}
{{- fail "autoscaling.maxReplicas is less than autoscaling.minReplicas" }}
{{- end }}
{{- if and .Values.secret.keys (not .Values.secret.name) }}
{{- fail "secret.name is empty, and a key of the Secret is used" }}
{{- end }}
{{- end }}

{{/* Helm reads every number as a float: toJson writes it without an exponent. */}}
{{- define "wsify.args" -}}
- -listen-addr=:3000
- -admin-addr=:3001
- -shutdown-delay={{ .Values.shutdownDelaySeconds }}s
- -drain-timeout={{ .Values.drainTimeoutSeconds }}s
{{- range $name, $value := .Values.settings }}
- {{ printf "-%s=%s" $name (kindIs "string" $value | ternary $value (toJson $value)) | quote }}
{{- end }}
{{- end }}

{{/* Secrets are files, which variables name. */}}
{{- define "wsify.secrets" -}}
{{- range $name, $key := .keys }}
- { name: WSIFY_{{ $name | upper | replace "-" "_" }}_FILE, value: {{ printf "/run/secrets/wsify/%s" $key | quote }} }
{{- end }}
{{- end }}
