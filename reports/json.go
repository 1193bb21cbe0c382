package reports

import (
	"encoding/json"
	"fmt"
	"io"
)

// JSON writes r as run.json: indented, with a newline at the end. It fails if a
// figure is not a number, which JSON cannot say, or if w does.
func JSON(w io.Writer, r *Run) error {
	if r == nil {
		return errNoRun("run.json")
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false) // it is a file for programs, not a part of a page
	if err := e.Encode(r); err != nil {
		return fmt.Errorf("write run.json: %w", err)
	}
	return nil
}

func errNoRun(what string) error {
	return fmt.Errorf("write %s: there is no run to show", what)
}
