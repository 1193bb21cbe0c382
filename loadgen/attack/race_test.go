//go:build race

package attack_test

// raced says that the race detector is on.
const raced = true
