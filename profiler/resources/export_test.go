package resources

// What the conformance tests need: resourcestest imports this package, so they
// cannot be inside it.
var (
	NewProcfs = newProcfs
	NewPS     = newPS
	Plant     = plant
	ParsePage = parsePage

	Process42 = process42
	GroupV1   = groupV1
	GroupV2   = groupV2
	Page      = page
)
