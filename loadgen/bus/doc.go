// Package bus is the fleet over NATS: one controller, many workers.
//
// A worker is known by its id, the public half of a key that it makes when it
// starts. Subjects, where <id> is a worker's and <run> a drill's:
//
//	hr.hello.<id>          worker asks to be listed, each second; the answer may refuse it
//	hr.clock.<id>          worker asks for the drill time, to find its offset
//	hr.lease.<id>          worker asks for its lease to be renewed; the answer brings orders
//	hr.input.<id>          worker asks for a part of the scenario and its files
//	hr.worker.<id>.assign  controller hands out a slice; the worker answers when it stands by
//	hr.worker.<id>.order   controller sends orders, to be quick; leases bring them again
//	hr.worker.<id>.recall  controller that was started again asks for what it had sent
//	                       in answer to hr.input: it stores no secrets
//	hr.run.<run>.kill      controller ends all load at once
//	hr.window.<run>.<id>   worker publishes windows, stored in a stream before the
//	                       worker is told so; the message id is <run>/<id>/<n>
//
// A worker may publish hr.{hello,clock,lease,input}.<id> and hr.window.*.<id> only,
// and read hr.worker.<id>.> , hr.run.*.kill and its own inbox only.
//
// # Leases
//
// A worker sends only while it holds a lease of a few seconds. It counts from the
// instant at which it asked, the controller from the later one at which it answered:
// once the lease has run out for the controller, the worker has stopped. Only then
// is the worker's share given to others. When a lease runs out, the clock that the
// worker's hits are planned by stands still, so that not even a process that was
// stopped and goes on sends what had come due meanwhile.
//
// # Orders
//
// Orders have numbers. A worker carries them out in their order, each once,
// whichever way they reach it. Windows that could not be stored are kept and sent
// again until they are; the stream keeps one of each message id.
package bus
