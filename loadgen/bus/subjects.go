package bus

import (
	"strings"

	"github.com/headroom-project/headroom/loadgen/engine"
)

// Subjects; see the comment of the package.
const (
	helloSubject  = "hr.hello."
	clockSubject  = "hr.clock."
	leaseSubject  = "hr.lease."
	inputSubject  = "hr.input."
	workerSubject = "hr.worker."
	runSubject    = "hr.run."
	windowSubject = "hr.window."

	assignVerb = ".assign"
	orderVerb  = ".order"
	recallVerb = ".recall"
	killVerb   = ".kill"
)

// Permissions is what the worker with this id may publish and read.
func Permissions(id string) engine.Permissions {
	return engine.Permissions{
		Publish: []string{helloSubject + id, clockSubject + id, leaseSubject + id, inputSubject + id, windowSubject + "*." + id},
		Subscribe: []string{
			workerSubject + id + ".>", runSubject + "*" + killVerb, engine.InboxPrefix(id) + ".>",
		},
	}
}

// lastToken is what follows the last dot of a subject: the worker's id in all
// subjects that workers publish to.
func lastToken(subject string) string { return subject[strings.LastIndexByte(subject, '.')+1:] }
