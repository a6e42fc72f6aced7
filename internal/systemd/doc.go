// Package systemd tells the service manager that started the program what the program
// does: that it is ready, reloads, stops, or still works (sd_notify(3)). It also finds the
// sockets that the service manager has opened for the program (sd_listen_fds(3)).
package systemd
