package planning

import (
	"fmt"
	"math"
	"strings"
)

// Autoscaler says at which load of a replica another should be started:
//
//	target = X_low * (1 - growth per second * scale-out lag) * zones left / zones
//
// and the use of its cores there, so that what arrives until the new replica serves, and
// what a lost zone leaves to the others, still fits.
type Autoscaler struct {
	// RPS is the load of a replica to scale at, Utilisation the share of its cores
	// that it takes there; 0 if the demand on cores is not known.
	RPS         float64 `json:"target_rps"`
	Utilisation float64 `json:"target_cpu_utilisation,omitempty"`
	Min         int     `json:"min_replicas"`
	// Max is what the target asks for at the peak, and at least the replicas of the plan.
	Max int `json:"max_replicas"`
	// HPA and KEDA are manifests; HPA is empty if Utilisation is 0.
	HPA  string `json:"hpa,omitempty"`
	KEDA string `json:"keda"`
	// Warnings say what speaks against scaling by CPU.
	Warnings []string `json:"warnings"`
}

// sure is the probability from which on the cores are what gives out.
const sure = 0.9

func (s Service) autoscaler(c Config, p *Plan) *Autoscaler {
	factor := 1 - c.Ramp*c.Lag.Seconds()
	if c.Zones > 0 {
		factor *= float64(c.Zones-c.Survive) / float64(c.Zones)
	}
	a := &Autoscaler{Warnings: []string{}, Max: p.Replicas, Min: min(max(c.Zones, c.Spare+1), p.Replicas)}
	if factor < 0.1 {
		a.Warnings = append(a.Warnings, "the load rises faster than replicas start: an autoscaler comes too late; keep the replicas of the peak running")
		factor = 0.1
	} else {
		// At the peak there are as many replicas as the target asks for: each keeps
		// room for what comes until the next one serves.
		a.Max = max(a.Max, int(math.Ceil(c.Peak/(s.Capacity.Low*factor)-1e-9)))
	}
	a.RPS = s.Capacity.Low * factor
	idles := false
	for _, l := range s.Limits {
		if l.Resource == cpu && l.Demand > 0 && l.Limit > 0 {
			a.Utilisation = min(max((l.base()+l.Demand*a.RPS)/l.Limit, 0), 1)
			// A target is a whole number of per cent, and what idles counts in each replica.
			switch room := math.Floor(100*a.Utilisation)/100*l.Limit - l.base(); {
			case room > 0:
				a.Max = max(a.Max, int(min(math.Ceil(l.Demand*c.Peak/room-1e-9), mostReplicas)))
			default:
				idles = true
			}
		}
	}
	switch {
	case idles && a.Utilisation > 0:
		a.Warnings = append(a.Warnings, "a request takes so little of the cores that a replica shows as much when it idles: scale by requests per second (KEDA), not by CPU")
	case a.Utilisation == 0:
		a.Warnings = append(a.Warnings, "the demand on cores is not known: scale by requests per second (KEDA), not by CPU")
	case s.Limits[0].Resource != cpu || s.Limits[0].Probability < sure:
		a.Warnings = append(a.Warnings, fmt.Sprintf("%s gives out before the cores do: CPU rises little near the limit, so that scaling by requests per second (KEDA) is safer", s.Limits[0].Resource))
	}
	if a.Utilisation >= 0.01 && !idles {
		a.HPA = a.hpa()
	}
	a.KEDA = a.keda()
	return a
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
        # of resources.requests.cpu, which must be what the drilled replica had
        target: {type: Utilization, averageUtilization: %d}
`, a.Min, a.Max, int(math.Floor(100*a.Utilisation))), "\n")
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
        # requests per second of one replica
        threshold: "%.4g"
`, a.Min, a.Max, a.RPS), "\n")
}
