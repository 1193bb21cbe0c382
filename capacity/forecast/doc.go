// Package forecast extrapolates the offered load of production, with its weekly
// season, and says when it will exceed a capacity.
//
// A history of readings goes onto a grid of hours (or days) of the wall clock,
// since people follow the wall clock: a change to summer time does not shift the
// season. Holt-Winters (Holt 1957, Winters 1960; with a damped trend after Gardner
// and McKenzie 1985), on the loads and on their logarithms, is fitted to it, and
// held against the seasonal-naive forecast, which repeats the last week, on weeks
// that it has not seen. A forecast that loses is not used, and says so.
//
// Offered load is what is to be forecast: served load is clipped by the very
// saturation that the forecast is to warn of.
package forecast
