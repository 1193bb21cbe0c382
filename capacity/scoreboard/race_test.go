//go:build race

package scoreboard

// slow says that fewer systems are simulated, under the race detector.
const slow = true
