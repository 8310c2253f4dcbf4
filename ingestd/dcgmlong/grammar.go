package dcgmlong

import "telemetry-pipeline/ingestd/dialect"

// Grammar returns this dialect for detection.
func Grammar() dialect.Grammar {
	return dialect.Grammar{
		Name:  "dcgm-long",
		Tails: true,
		Match: Match,
		Open: func(f dialect.File, opt dialect.Options) (func() dialect.Worker, error) {
			p, err := New(f, opt)
			if err != nil {
				return nil, err
			}
			return func() dialect.Worker { return p.Worker() }, nil
		},
	}
}
