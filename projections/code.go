package projections

// The stored bytes of the models. They are canonical: two models are equal exactly when their bytes are, so "equal
// projections" means equal bytes. Parsing never panics, and allocates no more than a fixed multiple of its input, whatever that
// claims. What is parsed does not alias src.

// AppendLive writes l behind dst.
func AppendLive(dst []byte, l *Live) []byte { panic("contract") }

// ParseLive undoes AppendLive. Bytes behind the model are an error.
func ParseLive(src []byte) (Live, error) { panic("contract") }

// AppendIdentity writes id behind dst.
func AppendIdentity(dst []byte, id *Identity) []byte { panic("contract") }

// ParseIdentity undoes AppendIdentity. Bytes behind the model are an error.
func ParseIdentity(src []byte) (Identity, error) { panic("contract") }

// AppendSeries writes s behind dst.
func AppendSeries(dst []byte, s *Series) []byte { panic("contract") }

// ParseSeries undoes AppendSeries. Bytes behind the model are an error. Columns may share Times.
func ParseSeries(src []byte) (Series, error) { panic("contract") }
