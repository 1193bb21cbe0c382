package pyroscope

import (
	"strings"

	"github.com/google/pprof/profile"
)

// kindOf names a profile as captures are named: cpu, allocs, mutex, block,
// goroutine; else after its first sample type. hint is what the sender says
// beside the profile, for lock profiles look the same whatever they are of.
func kindOf(p *profile.Profile, hint string) string {
	has := func(names ...string) bool {
		for _, st := range p.SampleType {
			for _, n := range names {
				if st.Type == n {
					return true
				}
			}
		}
		return false
	}
	hint = strings.ToLower(hint)
	switch {
	case has("contentions", "delay") && strings.Contains(hint, "block"):
		return "block"
	case has("contentions", "delay"):
		return "mutex"
	case has("cpu"), strings.Contains(hint, "process_cpu"):
		return "cpu"
	case has("alloc_space", "alloc_objects"):
		return "allocs"
	case has("goroutine"), has("goroutines"):
		return "goroutine"
	case has("inuse_space", "inuse_objects"):
		return "heap"
	case len(p.SampleType) == 1 && p.SampleType[0].Type == "samples":
		return "cpu" // agents of other languages count samples only
	}
	if name := fileName(p.SampleType[0].Type); name != "" {
		return name
	}
	return "other"
}

// fileName keeps what is safe as a part of a file's name.
func fileName(text string) string {
	kept := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return -1
	}, text)
	return kept[:min(len(kept), 32)]
}

// harmless is text of a sender on one line, printable and short.
func harmless(text string) string {
	const most = 200
	text = strings.ToValidUTF8(text[:min(len(text), 4*most)], " ")
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}
