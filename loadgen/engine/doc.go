// Package engine gives the fleet its one NATS connection.
//
// Without anything else, it runs a NATS server with JetStream inside this process:
// one that opens no port for a drill on one machine, or one that workers dial. With
// the URL of a NATS system of yours it only connects. Whoever uses the connection
// cannot tell the difference.
//
// A worker shows the token of its join file and signs the server's challenge with a
// key that it made when it started. The public half of that key is its name on the
// wire: what it may publish and read is bound to it, and nobody else can be it.
//
// It is the only importer of nats-server.
package engine
