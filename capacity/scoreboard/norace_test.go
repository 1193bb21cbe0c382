//go:build !race

package scoreboard

const slow = false
