module github.com/PabloL007/outpost/internal/procnet/procfsbench

go 1.26.0

require (
	github.com/PabloL007/outpost v0.0.0
	github.com/prometheus/procfs v0.23.0
)

require golang.org/x/sys v0.49.0 // indirect

replace github.com/PabloL007/outpost => ../../..
