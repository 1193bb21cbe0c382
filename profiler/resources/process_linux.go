package resources

func newProcess(cfg ProcessConfig) (Reader, error) { return newProcfs(cfg) }
