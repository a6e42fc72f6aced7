// Reads a JSON list of Kubernetes objects, and compares each with the OpenAPI schema of its kind:
// what it has to have, and the types and formats of what it has.
import { text } from 'node:stream/consumers';

const modules = { 'monitoring.coreos.com/v1': '@kubernetes-models/prometheus-operator' };

for (const object of JSON.parse(await text(process.stdin))) {
  const { apiVersion, kind } = object;
  const { [kind]: Model } = await import(`${modules[apiVersion] ?? 'kubernetes-models'}/${apiVersion}/${kind}`);
  try {
    new Model(object).validate();
  } catch (error) {
    console.error(`${kind}: ${error.message}`);
    process.exitCode = 1;
  }
}
