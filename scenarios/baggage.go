package scenarios

// baggage is the header by which a target's profiles can be labelled, as W3C
// Baggage. The keys are those of k6 where it has one: pyroscope-go's middleware
// (x/k6) makes labels of all that begin with "k6.", dots replaced by underscores,
// and passes over those without a value. A scenario's name is safe as it is.
func baggage(scenario string) template {
	return template{
		{text: "k6.test_run_id="}, {action: actRun},
		{text: ",k6.scenario=" + scenario + ",k6.step="}, {action: actStep},
	}
}

// SetRun names the run for the header Baggage; without it, the header names none.
// It must be called before the first Render.
func (r *Requests) SetRun(id string) { r.run = id }
