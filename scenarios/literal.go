package scenarios

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// literalForm finds what a template would read as an action or a reference, and
// all braces before it: an action that follows a brace would begin one too early.
var literalForm = regexp.MustCompile(`\{*\$\{+|\{\{+`)

// Literal is the template that renders to a text as it is, for programs that
// write scenarios.
func Literal(text string) string {
	return literalForm.ReplaceAllStringFunc(text, func(s string) string { return "{{ " + strconv.Quote(s) + " }}" })
}

// IsSecretName says whether a header, cookie or parameter by its name carries a
// credential, as which Redacted treats it.
func IsSecretName(name string) bool { return isSecretName(name) }

// CanHold says whether a text can stand in a scenario file: it is UTF-8, and has
// none of a few characters of the private-use area.
func CanHold(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, isMask) < 0
}
