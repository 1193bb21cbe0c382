package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/capacity/scaleout"
	"github.com/headroom-project/headroom/reports"
)

// scaleOut fits measurements at several replica counts: BUNDLE@N, points.csv@N.
func scaleOut(c *cli.Context, s streams) error {
	slo, err := objectives(c.StringSlice("slo"))
	if err != nil {
		return err
	}
	worth, err := share(c.String("worth"))
	if err != nil {
		return badInput("write it as 50% or 0.5", "--worth: %w", err)
	}
	peak := c.Float64("peak")
	if c.IsSet("peak") && !(peak > 0 && peak <= 1e9) {
		return badInput("give it in requests per second", "plan: no peak above 0 to plan for")
	}
	for _, name := range []string{"growth", "lose-zones", "spare", "replicas", "prices", "instance", "mix", "ramp", "lag"} {
		if c.IsSet(name) {
			return badInput("plan without --scale-out, from the drill of one replica, prices and spares them", "plan: --%s says nothing with --scale-out", name)
		}
	}
	var counts []scaleout.Count
	var notes []string
	out := &reports.ScaledOut{Schema: reports.ScaleOutSchema, Sources: []string{}}
	for _, arg := range c.Args().Slice() {
		x, drilled, err := countOf(c, arg, reports.Question{Objectives: slo, Fit: true})
		if err != nil {
			return err
		}
		if drilled.Bound == capacity.Predicted {
			notes = append(notes, arg+": the capacity was predicted and not offered")
		}
		counts = append(counts, x)
		out.Sources, out.Drilled = append(out.Sources, arg), append(out.Drilled, drilled)
	}
	fit, err := scaleout.Analyse(counts, scaleout.Config{Worth: worth, Peak: peak, Seed: 1})
	switch {
	case errors.Is(err, scaleout.ErrFew):
		return badInput("headroom plan --scale-out BUNDLE1@1 BUNDLE2@2 BUNDLE4@4", "plan: %w", err)
	case err != nil:
		return badInput("", "plan: %w", err)
	}
	out.Fit, out.Confidence, out.Method = fit, capacity.DefaultConfidence, reports.ScaleOutMethod(fit)
	out.Fit.Warnings = append(out.Fit.Warnings, notes...)
	write := func() error { return reports.ScaleOutText(s.out, out, textOptions(s)) }
	if c.Bool("json") {
		write = func() error { return reports.ScaleOutJSON(s.out, out) }
	}
	if err := write(); err != nil {
		return err
	}
	if c.IsSet("peak") && fit.ForPeak == 0 {
		return errVerdict(exitFail)
	}
	return nil
}

// countOf reads SOURCE@N and asks the model for the capacity of the N replicas, as the
// law takes it and as it was found.
func countOf(c *cli.Context, arg string, q reports.Question) (x scaleout.Count, out reports.Drilled, err error) {
	at := strings.LastIndex(arg, "@")
	if at <= 0 {
		return x, out, badInput("write BUNDLE@N, where N is how many replicas were drilled", "plan: %q names no replica count", arg)
	}
	n, err := strconv.Atoi(arg[at+1:])
	if err != nil || n < 1 || n > 1000 {
		return x, out, badInput("write BUNDLE@N, where N is how many replicas were drilled", "plan: %q is no replica count from 1 to 1000", arg[at+1:])
	}
	src, err := openSource("plan", []string{arg[:at]}, c.String("from"))
	if err != nil {
		return x, out, err
	}
	r, err := src.compute(q, 1)
	if err == nil {
		err = unfounded("plan", arg[:at], "planned with", r)
	}
	if err != nil {
		return x, out, err
	}
	if k := r.Capacity; k != nil && k.Bound == capacity.Above {
		return x, out, &codedError{exitInvalid, fmt.Errorf("plan: %s shows a capacity of at least %.4g requests/s only: the objectives held at every load offered", arg, k.RPS.Value), "drill it to a higher load: a law over replicas needs the capacity of each count"}
	}
	if r.Capacity == nil || r.Capacity.Bound != "" && r.Capacity.Bound != capacity.Predicted {
		return x, out, &codedError{exitInvalid, fmt.Errorf("plan: %s shows no capacity: %s", arg, strings.Join(r.Reasons, "; ")), "headroom fit " + arg[:at] + " says what would identify it"}
	}
	e := r.Capacity.RPS
	return scaleout.Count{Replicas: n, RPS: e.Value, Low: e.Low, High: e.High}, reports.Drilled{Source: arg, Replicas: n, RPS: e, Bound: r.Capacity.Bound}, nil
}
