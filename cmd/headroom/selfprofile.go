package main

import (
	"cmp"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/headroom-project/headroom/profiler/pyroscope"
)

// pyroscopeCredentials are those of the environment. A scenario cannot hold them.
func pyroscopeCredentials() pyroscope.Credentials {
	return pyroscope.Credentials{
		Tenant: os.Getenv("HEADROOM_PYROSCOPE_TENANT"), Token: os.Getenv("HEADROOM_PYROSCOPE_TOKEN"),
		User: os.Getenv("HEADROOM_PYROSCOPE_USER"), Password: os.Getenv("HEADROOM_PYROSCOPE_PASSWORD"),
	}
}

// selfProfileFlag makes a command profile its own process.
func selfProfileFlag() cli.Flag {
	return &cli.StringFlag{Name: "self-profile", Usage: "profile this process, and send that to the Pyroscope server at `URL`"}
}

// profileSelf profiles this process if the flag says so, until stop is called.
func profileSelf(c *cli.Context, s streams) (stop func(), err error) {
	url := c.String("self-profile")
	if url == "" {
		return func() {}, nil
	}
	host, _ := os.Hostname()
	self, err := pyroscope.ProfileSelf(pyroscope.SelfConfig{
		URL: url, Credentials: pyroscopeCredentials(), Application: "headroom." + c.Command.Name,
		Labels:  map[string]string{"role": c.Command.Name, "version": version, "instance": cmp.Or(c.String("name"), host, "local")},
		OnError: func(text string) { fmt.Fprintf(s.err, "note: --self-profile: %s\n", text) },
	})
	if err != nil {
		return nil, badInput("", "--self-profile: %w", err)
	}
	return self.Stop, nil
}
