// Package importer makes scenarios out of what others recorded or described:
// vegeta target files, HAR archives, OpenAPI 3 documents and access logs.
//
// What goes in is untrusted and has limits. What comes out is a scenario that
// is valid, that can be written and read back, and that holds no secret: a
// credential becomes a reference to the environment. Where a source does not
// say something that a scenario needs (an OpenAPI document knows no
// frequencies, an access log no bodies), the importer takes a cautious default
// and says so in a note, as it does about everything that could not be carried
// over. Requests to other hosts than the target's are left out, since whoever
// imports a page does not mean to load its analytics provider.
package importer
