package scenarios

import (
	"strings"
	"testing"
)

// The mistakes of the shapes of a load.
func TestShapeProblems(t *testing.T) {
	load := func(l string) string {
		return "version: 1\ntarget: {url: 'http://127.0.0.1'}\nload: " + l + "\n"
	}
	checkProblems(t, []loadProblem{
		{"no spike", load("{spike: {base: 1, peak: 2, at: 0s, lasts: 1s}}"), `3:15: load.spike.duration is missing`},
		{"flat spike", load("{spike: {base: 5, peak: 5, at: 0s, lasts: 1s, duration: 2s}}"), `3:31: load.spike.peak (5) must be above base (5): "5"`},
		{"long spike", load("{spike: {base: 5, peak: 6, at: 1s, lasts: 2s, duration: 2s}}"), `load.spike ends at 3s, after its duration: "2s"`},
		{"negative sine", load("{sine: {mean: 5, amplitude: 6, period: 1s, duration: 2s}}"), `load.sine.amplitude (6) must not be above mean (5)`},
		{"high sine", load("{sine: {mean: 6000, amplitude: 5000, period: 1s, duration: 2s}}"), `load.sine peaks at 11000, above safety.max_rps`},
		{"replay speed", load("{replay: {file: a.log, speed: 0}}"), `3:37: load.replay.speed must be from 0.001 to 1000: "0"`},
		{"replay of nothing", load(`{replay: {file: ""}}`), `load.replay.file is empty`},
		{"arrivals of a replay", load("{arrivals: poisson, replay: {file: a.log}}"), `load.arrivals must be trace: a replay has`},
		{"trace of nothing", load("{arrivals: trace, search: {}}"), `load.arrivals can be trace for load.replay only: "trace" (hint: use poisson or constant)`},
		{"empty sequence", load("{sequence: []}"), `3:18: load.sequence is empty`},
		{"part without a kind", load("{sequence: [{warmup: 1s}]}"), `3:19: load.sequence[0] says no kind (hint: add one of constant`},
		{"search in a sequence", load("{sequence: [{search: {}}]}"), `3:20: unknown key in load.sequence[0]: "search" (hint: there is load.search`},
		{"part's rate", load("{sequence: [{constant: {rate: 1, duration: 1s}}, {constant: {rate: -1, duration: 1s}}]}"), `3:74: load.sequence[1].constant.rate must be above 0`},
		{"open and closed", load("{sequence: [{constant: {rate: 1, duration: 1s}}, {closed: {users: 1, duration: 1s}}]}"), `load.sequence[1] is closed, but other parts are not`},
		{"warm-up of users", load("{sequence: [{warmup: 1s, closed: {users: 1, duration: 1s}}]}"), `a closed load has no warm-up step`},
	})
}

// The mistakes of a request.
func TestRequestProblems(t *testing.T) {
	request := func(r string) string {
		return "version: 1\ntarget:\n  url: http://127.0.0.1\n  requests:\n    - " + r + "\nload: {search: {}}\n"
	}
	checkProblems(t, []loadProblem{
		{"status class", request(`{name: a, get: /, check: {status: [200, 6xx]}}`), `5:47: target.requests[0].check.status[1] must be from 100 to 599: "6xx" (hint: write 201, 2xx, 200-204 or a list of them)`},
		{"no statuses", request(`{name: a, get: /, check: {status: []}}`), `check.status must have from 1 to 1000 entries`},
		{"status turned", request(`{name: a, get: /, check: {status: 300-200}}`), `must be from 100 to 599: "300-200"`},
		{"header check", request(`{name: a, get: /, check: {headers: {X-A: present}}}`), `5:48: target.requests[0].check.headers.X-A is no condition that is known: "present" (hint: write it like contains "json"`},
		{"JSON check", request(`{name: a, get: /, check: {json: {a.b: '= 5'}}}`), `check.json.a.b has an operator that is not known: "= 5"`},
		{"JSON path", request(`{name: a, get: /, check: {json: {'a[*]': exists}}}`), `check.json: path has a [ without an index or a quoted key, and ]: "a[*]"`},
		{"regexp", request(`{name: a, get: /, check: {body: 'matches "("'}}`), `check.body has no regular expression: error parsing regexp: missing closing )`},
		{"feed without a file", request(`{name: a, get: /, feed: {reuse: false}}`), `target.requests[0].feed.file is missing`},
		{"feed's reuse", request(`{name: a, get: /, feed: {file: a.csv, reuse: maybe}}`), `5:52: target.requests[0].feed.reuse must be true or false, not text: "maybe"`},
		{"feed's key", request(`{name: a, get: /, feed: {file: a.csv, resue: true}}`), `5:45: unknown key in target.requests[0].feed: "resue" (hint: did you mean "reuse"?)`},
		{"cookie", request(`{name: a, get: /, cookies: {a: 'x; y'}}`), `5:38: value of cookie a holds a ; or control character (hint:`},
		{"cookie's name", request(`{name: a, get: /, cookies: {'a b': x}}`), `cookie's name holds what a name cannot hold`},
		{"cookies twice", request(`{name: a, get: /, cookies: {a: x}, headers: {cookie: b=c}}`), `has both cookies and a header Cookie`},
		{"query's template", request(`{name: a, get: /, query: {q: '{{ nope }}'}}`), `5:36: target.requests[0].query.q: template: unknown function "nope": "{{ nope }}"`},
		{"form and body", request(`{name: a, post: /, body: x, multipart: [{name: a}]}`), `has both a body and multipart`},
		{"form's part", request(`{name: a, post: /, multipart: [{name: a, value: x, file: y}]}`), `target.requests[0].multipart[0] has both value and file: "y"`},
		{"form's type", request(`{name: a, post: /, multipart: [{name: a}], headers: {content-type: x}}`), `has a content type of its own`},
		{"empty form", request(`{name: a, post: /, multipart: []}`), `target.requests[0].multipart is empty`},
		{"template of nothing", request(`{name: a, post: /, template: true}`), `template is set, but there is no body_file`},
		{"request's timeout", request(`{name: a, get: /, timeout: 0s}`), `target.requests[0].timeout must be above 0s`},
		{"redirects", request(`{name: a, get: /, redirects: follow 100}`), `5:36: target.requests[0].redirects: must be no, or follow and a number from 1 to 20: "follow 100" (hint: write no, follow 5 or follow 5 same host)`},
	})
}

// The mistakes of a flow, most of all a value that is used before it is captured.
func TestFlowProblems(t *testing.T) {
	request := func(r string) string {
		return "version: 1\ntarget:\n  url: http://127.0.0.1\n  requests:\n    - " + r + "\nload: {search: {}}\n"
	}
	flow := func(requests ...string) string {
		return "version: 1\ntarget:\n  url: http://127.0.0.1\n  flow:\n    - " + strings.Join(requests, "\n    - ") + "\nload: {search: {}}\n"
	}
	checkProblems(t, []loadProblem{
		{"capture outside a flow", request(`{name: a, get: /, capture: {t: json t}}`), `target.requests[0].capture has no use outside of a flow`},
		{"value outside a flow", request(`{name: a, get: '/{{ .t }}'}`), `5:22: target.requests[0].get uses .t, but only requests of a flow have captured values: "/{{ .t }}" (hint: put the requests`},
		{"used too early", flow("{name: a, get: '/{{ .t }}'}", "{name: b, get: /, capture: {t: json t}}"), `5:22: target.flow[0].get uses .t, which is captured only by the answer to "b": "/{{ .t }}" (hint: use it in a later request)`},
		{"used by its own request", flow("{name: a, get: '/{{ .t }}', capture: {t: json t}}"), `uses .t, which is captured only by the answer to "a"`},
		{"never captured", flow("{name: a, get: /, capture: {token: json t}}", "{name: b, get: '/{{ .tokn }}'}"), `6:22: target.flow[1].get uses .tokn, which no request captures: "/{{ .tokn }}" (hint: did you mean "token"?)`},
		{"nothing captured", flow("{name: a, get: '/{{ .t }}'}"), `(hint: add capture: {t: json t} to an earlier request)`},
		{"capture", flow("{name: a, get: /, capture: {t: body x}}"), `target.flow[0].capture.t is no place to take a value from: "body x" (hint: write it like json token`},
		{"capture's name", flow("{name: a, get: /, capture: {t-x: json x}}"), `name must be letters, digits and _, and not row: "t-x"`},
		{"capture of HEAD", flow("{name: a, head: /, capture: {t: json x}}"), `capture.t cannot be: HEAD has no body`},
		{"weight in a flow", flow("{name: a, get: /, weight: 2}"), `target.flow[0].weight cannot be: requests of a flow come in order: "2"`},
		{"empty flow", "version: 1\ntarget: {url: 'http://127.0.0.1', flow: []}\nload: {search: {}}", `2:41: target.flow is empty`},
		{"flow and requests", "version: 1\ntarget: {url: 'http://127.0.0.1', flow: [{name: a, get: /}], requests: [{name: b, get: /}]}\nload: {search: {}}", `target has both requests and a flow`},
	})
}

// The mistakes of how requests are sent.
func TestTransportKeyProblems(t *testing.T) {
	target := func(keys string) string {
		return "version: 1\ntarget: {url: 'http://127.0.0.1', " + keys + "}\nload: {search: {}}\n"
	}
	checkProblems(t, []loadProblem{
		{"protocol", target("protocol: http3"), `2:45: target.protocol: unknown protocol: "http3" (hint: did you mean "http1"?)`},
		{"http2 in the clear", target("protocol: http2"), `target.url must be https for protocol http2`},
		{"proxy", target("proxy: 'https://127.0.0.1:1'"), `target.proxy must be http, without path and query`},
		{"proxy for h2c", target("proxy: 'http://127.0.0.1:1', protocol: h2c"), `target.protocol h2c cannot go through a proxy`},
		{"half a certificate", target("tls: {cert: a.pem}"), `target.tls has one of cert and key`},
		{"ca for nothing", target("tls: {ca: a.pem, insecure: true}"), `target.tls has a ca, but insecure does not look at it`},
		{"insecure text", target("tls: {insecure: 'yes'}"), `2:51: target.tls.insecure must be true or false, not text: "yes"`},
	})
}
