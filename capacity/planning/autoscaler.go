package planning

import (
	"fmt"
	"math"
	"strings"

	"github.com/headroom-project/headroom/capacity"
)

// Autoscaler says at which load of a replica another should be started:
//
//	target = X_low * (1 - growth per second * scale-out lag) * min(left(n) / n)
//
// and the use of its cores there, so that what arrives until the new replica serves, and
// what a lost zone and failed replicas leave to the others, still fits. The share that is
// left is the least over the counts n that the scaler may run: of four replicas in three
// zones a zone takes two, which is more than the third that it takes of six.
type Autoscaler struct {
	// RPS is the load of a replica to scale at, Utilisation the share of its cores
	// that it takes there; 0 if the demand on cores is not known.
	RPS         float64 `json:"target_rps"`
	Utilisation float64 `json:"target_cpu_utilisation,omitempty"`
	// Between are the utilisations if the capacity is at its low and at its high end; the
	// target is that of the low end.
	Between []float64 `json:"target_cpu_utilisation_between,omitempty"`
	// Basis is that of both targets.
	Basis Basis `json:"basis"`
	// Min is where the fewest replicas run on the average of loads from none to the peak:
	// the fewer it is, the greater a share of them the loss takes, and the lower the target.
	Min int `json:"min_replicas"`
	// Max is what the target asks for at the peak, and at least the replicas of the plan. The
	// manifests, which name less, would run up to a tenth more; at Max none is asked for more
	// than its target up to the peak.
	Max int `json:"max_replicas"`
	// HPA and KEDA are manifests; HPA is empty if Utilisation is 0, and both are where
	// there is nothing to scale, since Min is Max. What they name is lower than the targets,
	// by the tolerance of Kubernetes.
	HPA  string `json:"hpa,omitempty"`
	KEDA string `json:"keda"`
	// Warnings say what speaks against scaling, or scaling by CPU.
	Warnings []string `json:"warnings"`
}

const (
	// sure is the probability from which on the cores are what gives out.
	sure = 0.9
	// tooSteep is the share of a replica's capacity from which no less is left to scale at.
	tooSteep = 0.1
	// tolerance is by how much, as a ratio, a metric may be off its target until a
	// HorizontalPodAutoscaler acts, and the one that KEDA makes: 0.1 unless the cluster says
	// otherwise (Kubernetes, Horizontal Pod Autoscaling, "Algorithm details";
	// --horizontal-pod-autoscaler-tolerance). It acts above 1.1 times what a manifest names.
	// So a manifest names the target over 1.1: a new replica is started at the target, and
	// not at a tenth above it, which is more than what is left for the time that it takes.
	tolerance = 0.1
)

// named is the whole number of per cent that a manifest names for a share of the cores.
func named(share float64) float64 { return math.Floor(100*share/(1+tolerance)+1e-9) / 100 }

func (s Service) autoscaler(c Config, p *Plan) *Autoscaler {
	a := &Autoscaler{Warnings: []string{}}
	each := s.Capacity.Low * (1 - c.Ramp*c.Lag.Seconds())
	late := each < s.Capacity.Low*tooSteep
	if late {
		a.RPS, a.Min, a.Max = down(s.Capacity.Low*tooSteep*c.kept(p.Replicas)), p.Replicas, p.Replicas
	} else {
		a.RPS, a.Min, a.Max = s.scale(c, each, min(max(c.Zones, c.Spare+1), p.Replicas), p.Replicas)
	}
	idles := false
	a.Basis = s.Basis
	a.Basis.Method = "the low end of the capacity, less what arrives until a new replica serves, and less the loss"
	if l, ok := s.cores(); ok {
		a.Utilisation = l.share(a.RPS)
		a.Between = []float64{a.Utilisation, max(l.share(a.RPS*s.Capacity.High/s.Capacity.Low), a.Utilisation)}
		a.Basis.Method += "; the use of the cores there, by the law that was fitted to it"
		idles = l.idles(a.Utilisation)
	}
	switch {
	case late:
		a.Warnings = append(a.Warnings, "the load rises faster than replicas start: an autoscaler comes too late; keep the replicas of the peak running")
		return a
	case a.Min == a.Max:
		a.Warnings = append(a.Warnings, fmt.Sprintf("there is nothing to scale: the %s of the plan run from no load to the peak, and no manifest is printed; a higher --peak has one", replicas(a.Max)))
		return a
	case idles && a.Utilisation > 0:
		a.Warnings = append(a.Warnings, "a request takes so little of the cores that a replica shows as much when it idles: scale by requests per second (KEDA), not by CPU")
	case a.Utilisation == 0 && len(s.Limits) > 0 && s.Limits[0].Probability >= sure && s.Limits[0].Resource != cpu:
		a.Warnings = append(a.Warnings, fmt.Sprintf("%s gives out, and not the cores: scale by requests per second (KEDA), not by CPU", spoken(s.Limits[0])))
	case a.Utilisation == 0:
		a.Warnings = append(a.Warnings, "the demand on cores is not known: scale by requests per second (KEDA), not by CPU")
	case s.Limits[0].Resource != cpu || s.Limits[0].Probability < sure:
		a.Warnings = append(a.Warnings, fmt.Sprintf("%s gives out before the cores do: CPU rises little near the limit, so that scaling by requests per second (KEDA) is safer", spoken(s.Limits[0])))
	}
	if named(a.Utilisation) >= 0.01 && !idles {
		a.HPA = a.hpa()
	}
	a.KEDA = a.keda()
	return a
}

// spoken is the name of a limit in a sentence.
func spoken(l Limit) string {
	if l.Resource == capacity.Unmeasured {
		return "something unmeasured"
	}
	return l.Resource
}

func replicas(n int) string {
	if n == 1 {
		return "1 replica"
	}
	return fmt.Sprintf("%d replicas", n)
}

// scale returns the target of a replica that carries each, and the replicas between which
// it scales: those with the fewest replicas on the average over loads spread evenly from
// none to the peak, (most + least^2 / most) / 2 as least run until there is more to do.
func (s Service) scale(c Config, each float64, fewest, planned int) (target float64, least, most int) {
	mean := func(least, most int) float64 { return float64(most) + float64(least)*float64(least)/float64(most) }
	best := math.Inf(1)
	for n := fewest; n <= planned && mean(n, planned) < best; n++ {
		if c.left(n) < 1 {
			continue
		}
		if rps, m := s.reach(c, each, n, planned); mean(n, m) < best {
			target, least, most, best = rps, n, m, mean(n, m)
		}
	}
	return target, least, most
}

// reach is the target from so many replicas on, and how many run by it at the peak. Beyond
// the counts of one round over the zones, no count leaves a lesser share.
func (s Service) reach(c Config, each float64, least, planned int) (target float64, most int) {
	share := math.Inf(1)
	for n := least; n < least+max(c.Zones, 1); n++ {
		if kept := c.kept(n); kept < share {
			share, target = kept, down(each*kept)
			most = max(s.asked(target, c.Peak), planned)
		}
		if most <= n {
			break
		}
	}
	return target, most
}

// asked is how many replicas the manifests run at a load at least, whichever asks for more:
// with fewer it acts. The HPA's target is a whole number of per cent, and what idles counts
// in each replica.
func (s Service) asked(target, load float64) int {
	n := math.Ceil(load/target - 1e-9)
	if l, ok := s.cores(); ok && !l.idles(l.share(target)) {
		n = max(n, math.Ceil(load/l.usedTo((1+tolerance)*named(l.share(target)))-1e-9))
	}
	return int(min(n, mostReplicas))
}

// cores is the limit of the cores, if their demand is known.
func (s Service) cores() (Limit, bool) {
	for _, l := range s.Limits {
		if l.Resource == cpu && l.Demand > 0 && l.Limit > 0 {
			return l, true
		}
	}
	return Limit{}, false
}

// share is which of the limit is used at a load; a resource idles at a share if a manifest
// for it names no more than what is used at rest.
func (l Limit) share(rps float64) float64 { return min(max(l.law().At(rps)/l.Limit, 0), 1) }
func (l Limit) idles(share float64) bool  { return !(l.usedTo(named(share)) > 0) }

// kept is the share of n replicas that remains after the loss.
func (c Config) kept(n int) float64 { return float64(c.left(n)) / float64(n) }

// down rounds to the four digits that a manifest shows, never up to a load that the loss
// does not leave room for.
func down(x float64) float64 {
	if !(x > 0) {
		return 0
	}
	digits := math.Pow(10, 3-math.Floor(math.Log10(x)))
	return math.Floor(x*digits+1e-6) / digits
}

// hpa is a HorizontalPodAutoscaler (autoscaling/v2). Its utilisation is of the
// requested cores, which are taken to be what a replica has.
func (a *Autoscaler) hpa() string {
	return strings.TrimLeft(fmt.Sprintf(`
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: SERVICE}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: SERVICE}
  minReplicas: %d
  maxReplicas: %d
  metrics:
    - type: Resource
      resource:
        name: cpu
        # of resources.requests.cpu, which must be what the drilled replica had;
        # Kubernetes acts above 1.1 times this, at %.3g%%
        target: {type: Utilization, averageUtilization: %.0f}
`, a.Min, a.Max, 110*named(a.Utilisation), 100*named(a.Utilisation)), "\n")
}

// keda is a ScaledObject on the rate of requests.
func (a *Autoscaler) keda() string {
	return strings.TrimLeft(fmt.Sprintf(`
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: SERVICE}
spec:
  scaleTargetRef: {name: SERVICE}
  minReplicaCount: %d
  maxReplicaCount: %d
  triggers:
    - type: prometheus
      metricType: AverageValue
      metadata:
        serverAddress: http://prometheus:9090
        query: sum(rate(http_requests_total{service="SERVICE"}[1m]))
        # requests per second of one replica; Kubernetes acts above 1.1 times this
        threshold: "%.4g"
`, a.Min, a.Max, down(a.RPS/(1+tolerance))), "\n")
}
