package bus

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/scenarios"
)

// Input is all that a worker needs to compile the same plan and the same requests
// as the controller. It holds secrets, so that it is never stored.
type Input struct {
	// Scenario is its whole text.
	Scenario []byte `json:"scenario"`
	// Files are those that the scenario names, by the name that it uses.
	Files map[string][]byte `json:"files,omitempty"`
	// Env holds the variables that the scenario names.
	Env map[string]string `json:"env,omitempty"`
}

// MaxInput bounds the encoded input in bytes.
const MaxInput = 128 << 20

// Compiled is an input made ready to run.
type Compiled struct {
	Scenario *scenarios.Scenario
	Plan     *scenarios.Plan
	Requests *scenarios.Requests
	Allow    *attack.AllowList
	// Env are the variables that were looked up: those that workers need.
	Env map[string]string
}

// Encode returns the input as it travels, and its digest.
func (in *Input) Encode() (data []byte, digest string, err error) {
	data, err = json.Marshal(in) // maps are sorted, so that the digest is one
	if err != nil {
		return nil, "", fmt.Errorf("encode scenario: %w", err)
	}
	if len(data) > MaxInput {
		return nil, "", fmt.Errorf("encode scenario: it is %d bytes with its files, more than %d", len(data), MaxInput)
	}
	return data, digestOf(data), nil
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// decodeInput reads an input whose digest is known.
func decodeInput(data []byte, digest string) (*Input, error) {
	if got := digestOf(data); got != digest {
		return nil, fmt.Errorf("the scenario differs: its digest is %.12s, the controller's %.12s", got, digest)
	}
	in := &Input{}
	if err := json.Unmarshal(data, in); err != nil {
		return nil, fmt.Errorf("decode scenario: %w", err)
	}
	return in, nil
}

// inputs are what the scenario's compilers read.
func (in *Input) inputs() scenarios.Inputs {
	return scenarios.Inputs{
		Open: func(name string) (io.ReadCloser, error) {
			b, ok := in.Files[name]
			if !ok {
				return nil, fmt.Errorf("open %s: the file was not sent with the scenario", name)
			}
			return io.NopCloser(bytes.NewReader(b)), nil
		},
		Env: func(name string) (string, bool) {
			v, ok := in.Env[name]
			return v, ok
		},
	}
}

// Compile compiles the input.
func (in *Input) Compile() (*Compiled, error) {
	from, needed := in.inputs(), map[string]string{}
	look := from.Env
	from.Env = func(name string) (string, bool) {
		v, ok := look(name)
		if ok {
			needed[name] = v
		}
		return v, ok
	}
	s, err := scenarios.Load("scenario", in.Scenario, scenarios.LoadOptions{})
	if err != nil {
		return nil, err
	}
	c := &Compiled{Scenario: s, Env: needed}
	if c.Plan, err = scenarios.CompileWith(s, from); err != nil {
		return nil, err
	}
	if c.Requests, err = scenarios.CompileRequests(s, from); err != nil {
		return nil, err
	}
	if c.Allow, err = attack.NewAllowList(s.Safety.Allow); err != nil {
		return nil, err
	}
	return c, nil
}

// planDigest is the same for two plans that offer the same hits. It looks at each
// step, and at the first hits of it and of a step that a search might offer.
func planDigest(p *scenarios.Plan) string {
	h := sha256.New()
	fmt.Fprintln(h, p.Name, p.Seed, p.Arrivals, p.Weights, p.Names)
	steps := append([]scenarios.Step{{Index: len(p.Steps), Kind: scenarios.KindSearch, From: 100, To: 100, Lasts: time.Second}}, p.Steps...)
	for _, s := range steps {
		digestStep(h, p, s)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func digestStep(h hash.Hash, p *scenarios.Plan, s scenarios.Step) {
	const hits = 32
	fmt.Fprintln(h, s.Index, s.Kind, s.From, s.To, s.Lasts, s.Users, s.Think, s.First, p.Count(s))
	n := 0
	for hit := range p.Slice(0, 1).Hits(s) {
		fmt.Fprintln(h, hit.N, hit.At, hit.Request)
		if n++; n == hits {
			return
		}
	}
}
