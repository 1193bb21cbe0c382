// Package planning answers what-ifs from what a drill found of one replica: how
// many replicas a peak needs, through the loss of a zone, what they cost, when
// demand will have outgrown them, at which utilisation an autoscaler should act,
// and what changes with another instance type, price list or mix of requests.
//
// It is arithmetic on figures with intervals. Decisions are made on the low end
// of the capacity, never on its middle: n = ceil(peak / X_low) + k. What is
// assumed on the way is said as a warning of the plan. Time is an argument.
package planning
