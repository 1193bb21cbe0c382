// Package reports turns a drill into what people and programs read.
//
// In comes a Run: the content of run.json, in which the verdict, the capacity
// and every figure are already decided. Out go four views of it: Text for the
// end of a drill in a terminal, Markdown for the comment on a pull request,
// HTML for the one file that is mailed around and opened years later, and JSON,
// which is the Run itself. Sentence is the verdict that all of them begin with.
//
// The views decide nothing. A figure that the Run does not hold is not made up
// from others here; it is left out, and what Run.Missing says about it is shown.
//
// Every string of a Run is untrusted: request names come from a scenario,
// function names from a profile, reasons quote what a target answered. Text
// drops control characters, Markdown escapes everything that would be markup or
// a mention, and HTML sends data to the page as escaped JSON, from where it
// reaches the document as text only. The page's policy forbids every request,
// and every script but its own.
//
// The page's charts are built from web/src by npm and esbuild; the built files
// are committed in web/dist and embedded, so that go build needs no Node.
package reports
