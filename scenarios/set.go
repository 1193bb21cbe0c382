package scenarios

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// setFile is the File of a problem in an override; its Line is the ordinal of
// the override, its Column a place in the override's text.
const setFile = "--set"

const (
	maxSets    = 100
	maxSetText = 64 << 10
)

var setKey = regexp.MustCompile(`^([A-Za-z0-9_-]+)((?:\[[0-9]{1,4}\])*)$`)

// applySets changes the tree by overrides of the form key.path=value. The value
// is read as YAML; nothing, or null, removes the key.
func applySets(root *node, sets []string) []Problem {
	var list []Problem
	if len(sets) > maxSets {
		return []Problem{{File: setFile, Message: fmt.Sprintf("more than %d overrides", maxSets)}}
	}
	for i, s := range sets {
		if p := applySet(root, s, i+1); p != nil {
			p.File, p.Line = setFile, i+1
			p.Column = max(p.Column, 1)
			list = append(list, *p)
		}
	}
	return list
}

func applySet(root *node, set string, ordinal int) *Problem {
	path, value, found := strings.Cut(set, "=")
	if !found || len(set) > maxSetText {
		return &Problem{Text: shown(set), Message: "override is not key.path=value", Hint: "write it like load.constant.rate=200"}
	}
	steps, ok := setSteps(path)
	if !ok {
		return &Problem{Text: shown(path), Message: "override's key is not a path", Hint: "write it like target.requests[0].weight=3"}
	}
	var v node
	if strings.TrimSpace(value) != "" {
		parsed, p := parseSource(setFile, []byte(value))
		if p != nil {
			p.Column += len([]rune(path)) + 1
			p.Text = shown(value)
			return p
		}
		v = *parsed
	}
	v.relocate(ordinal, len([]rune(path))+1)
	return root.set(steps, v, place{file: setFile, line: ordinal, column: 1, text: path})
}

// setSteps splits `a.b[2].c` into a, b, [2], c.
func setSteps(path string) ([]string, bool) {
	var steps []string
	for _, key := range strings.Split(path, ".") {
		m := setKey.FindStringSubmatch(key)
		if m == nil {
			return nil, false
		}
		steps = append(steps, m[1])
		for _, index := range strings.SplitAfter(m[2], "]") {
			if index != "" {
				steps = append(steps, index)
			}
		}
	}
	return steps, len(steps) <= maxDepth
}

// relocate gives the value the place of its override.
func (n *node) relocate(ordinal, shift int) {
	n.at = place{file: setFile, line: ordinal, column: max(n.at.column, 1) + shift, text: n.at.text}
	for i := range n.keys {
		n.keys[i].relocate(ordinal, shift)
	}
	for i := range n.items {
		n.items[i].relocate(ordinal, shift)
	}
}

// set puts v at the end of the path, making mappings on the way. v without a
// kind, or null, removes what is there.
func (n *node) set(steps []string, v node, at place) *Problem {
	remove := v.kind == 0 || v.tag == "!!null"
	if steps[0][0] == '[' {
		return n.setIndex(steps, v, at)
	}
	if n.kind == 0 || n.tag == "!!null" {
		*n = node{kind: yaml.MappingNode, at: at}
	}
	if n.kind != yaml.MappingNode {
		return &Problem{Text: steps[0], Message: "override's path leads into a value that has no keys"}
	}
	for i := range n.keys {
		if n.keys[i].text != steps[0] {
			continue
		}
		if len(steps) > 1 {
			return n.items[i].set(steps[1:], v, at)
		}
		if remove {
			n.keys = append(n.keys[:i:i], n.keys[i+1:]...)
			n.items = append(n.items[:i:i], n.items[i+1:]...)
			return nil
		}
		n.items[i] = v
		return nil
	}
	if remove {
		return nil
	}
	key := node{kind: yaml.ScalarNode, tag: "!!str", text: steps[0], at: at}
	if len(steps) > 1 {
		var inner node
		if p := inner.set(steps[1:], v, at); p != nil {
			return p
		}
		v = inner
	}
	n.keys, n.items = append(n.keys, key), append(n.items, v)
	return nil
}

func (n *node) setIndex(steps []string, v node, at place) *Problem {
	i, err := strconv.Atoi(strings.Trim(steps[0], "[]"))
	if err != nil || n.kind != yaml.SequenceNode || i >= len(n.items) {
		return &Problem{Text: steps[0], Message: fmt.Sprintf("override's index is outside the list of %d", len(n.items)), Hint: "the first is [0]"}
	}
	if len(steps) > 1 {
		return n.items[i].set(steps[1:], v, at)
	}
	if v.kind == 0 || v.tag == "!!null" {
		n.items = append(n.items[:i:i], n.items[i+1:]...)
		return nil
	}
	n.items[i] = v
	return nil
}
