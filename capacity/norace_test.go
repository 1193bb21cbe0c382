//go:build !race

package capacity_test

const slow = 1
