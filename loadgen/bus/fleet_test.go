package bus_test

import (
	"testing"

	"github.com/headroom-project/headroom/loadgen/bus/bustest"
)

func TestMain(m *testing.M) { bustest.Main(m) }

func TestFleetInMemory(t *testing.T) { bustest.Suite(t, bustest.Memory) }

func TestFleetInProcess(t *testing.T) { bustest.Suite(t, bustest.InProcess) }

func TestFleetOverOneServer(t *testing.T) { bustest.Suite(t, bustest.Over(bustest.Single)) }

func TestFleetOverAClusterOfThree(t *testing.T) {
	c := bustest.NewCluster(t)
	bustest.Suite(t, bustest.Over(func(t testing.TB) *bustest.Net { return c.For(t) }))
}
