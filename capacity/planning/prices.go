package planning

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/headroom-project/headroom/scenarios"
)

// maxPrices is the greatest size of a price list in bytes.
const maxPrices = 1 << 20

// Prices is a price list: what resources cost by the hour, and instance types.
type Prices struct {
	// Name of the list, as shown.
	Name string `yaml:"name"`
	// The keys of capacity.prices in a scenario.
	scenarios.Prices `yaml:",inline"`
	// Instances are types that can be had, by name.
	Instances map[string]Instance `yaml:"instances"`
}

// Instance is a type of machine, or of container, that runs one replica.
type Instance struct {
	// VCPU is the number of its cores, MemoryGB its memory in 1e9 bytes; 0 if it
	// is not known, which keeps what was measured.
	VCPU     float64 `yaml:"vcpu"`
	MemoryGB float64 `yaml:"memory_gb"`
	// Hour is its price for an hour; 0 to price its cores and memory by the list.
	Hour float64 `yaml:"hour"`
	// Speed of one core against one of those measured (default 1).
	Speed float64 `yaml:"speed"`
}

// ParsePrices reads a price list in YAML or JSON; name is what errors call it.
func ParsePrices(name string, b []byte) (*Prices, error) {
	if len(b) > maxPrices {
		return nil, fmt.Errorf("%s: a price list larger than %d KiB", name, maxPrices>>10)
	}
	p := &Prices{}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(p); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: the price list is empty", name)
	} else if err != nil {
		return nil, fmt.Errorf("%s: %s", name, strings.ReplaceAll(strings.TrimPrefix(err.Error(), "yaml: "), "in type planning.Prices", "in a price list"))
	}
	if p.Name == "" {
		p.Name = name
	}
	return p, p.check(name)
}

// ParsePriceFlag reads a price list in one line: vcpu_hour=0.04,gb_hour=0.005,currency=EUR.
func ParsePriceFlag(name, text string) (*Prices, error) {
	p := &Prices{Name: name}
	for part := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(part, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if key == "currency" {
			p.Currency = value
			continue
		}
		at, ok := map[string]*float64{"vcpu_hour": &p.VCPUHour, "gb_hour": &p.GBHour, "egress_gb": &p.EgressGB}[key]
		if !ok {
			return nil, fmt.Errorf("%s: %.40q is no price; known are vcpu_hour, gb_hour, egress_gb and currency", name, key)
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("%s: %s is %.40q, which is no price", name, key, value)
		}
		*at = v
	}
	return p, p.check(name)
}

func (p *Prices) check(name string) error {
	if p.Currency == "" {
		p.Currency = "USD"
	}
	if len(p.Currency) != 3 || strings.Trim(p.Currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return fmt.Errorf("%s: currency %.20q is not three capital letters", name, p.Currency)
	}
	for _, x := range []struct {
		key   string
		value float64
	}{{"vcpu_hour", p.VCPUHour}, {"gb_hour", p.GBHour}, {"egress_gb", p.EgressGB}} {
		if !(x.value >= 0 && x.value <= 1e6) {
			return fmt.Errorf("%s: %s is %g, not a price from 0 to a million", name, x.key, x.value)
		}
	}
	if p.VCPUHour == 0 && p.GBHour == 0 && p.EgressGB == 0 && len(p.Instances) == 0 {
		return fmt.Errorf("%s: no price in it; known keys are vcpu_hour, gb_hour, egress_gb, instances", name)
	}
	for _, key := range slices.Sorted(maps.Keys(p.Instances)) {
		i, err := p.Instances[key].checked()
		if err != nil {
			return fmt.Errorf("%s: instances.%s: %w", name, key, err)
		}
		p.Instances[key] = i
	}
	return nil
}

func (i Instance) checked() (Instance, error) {
	if i.Speed == 0 {
		i.Speed = 1
	}
	for _, x := range []struct {
		key   string
		value float64
	}{{"vcpu", i.VCPU}, {"memory_gb", i.MemoryGB}, {"hour", i.Hour}} {
		if !(x.value >= 0 && x.value <= 1e6) {
			return i, fmt.Errorf("%s is %g, not between 0 and a million", x.key, x.value)
		}
	}
	if !(i.Speed >= 0.01 && i.Speed <= 100) {
		return i, fmt.Errorf("speed is %g, not between 0.01 and 100", i.Speed)
	}
	if i.VCPU == 0 && i.MemoryGB == 0 && i.Hour == 0 && i.Speed == 1 {
		return i, errors.New("it says nothing; known keys are vcpu, memory_gb, hour, speed")
	}
	return i, nil
}

// ParseInstance reads an instance type: the name of one in the list, or
// vcpu=4,memory_gb=8,hour=0.17,speed=1.2.
func ParseInstance(text string, list *Prices) (name string, i Instance, err error) {
	if list != nil {
		if i, ok := list.Instances[text]; ok {
			return text, i, nil
		}
	}
	if !strings.Contains(text, "=") {
		if list == nil || len(list.Instances) == 0 {
			return "", i, fmt.Errorf("no price list names an instance type %q; write vcpu=4,memory_gb=8,hour=0.17, or list it under instances", text)
		}
		return "", i, fmt.Errorf("no instance type %q in the price list; it has %s", text, strings.Join(slices.Sorted(maps.Keys(list.Instances)), ", "))
	}
	for part := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(part, "=")
		at, ok := map[string]*float64{"vcpu": &i.VCPU, "memory_gb": &i.MemoryGB, "hour": &i.Hour, "speed": &i.Speed}[strings.TrimSpace(key)]
		if !ok {
			return "", i, fmt.Errorf("unknown key %q of an instance type; known are vcpu, memory_gb, hour, speed", key)
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || math.IsNaN(v) {
			return "", i, fmt.Errorf("%s: %q is no number", key, value)
		}
		*at = v
	}
	i, err = i.checked()
	return text, i, err
}
