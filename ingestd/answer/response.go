package answer

// Success is the answer of an upload of which everything was accepted.
type Success struct {
	Success bool `json:"success"` // always true
	*Receipt
	Files []FileAnswer `json:"files,omitempty"` // of an upload of several files
}

// Failure is the answer of an upload that has an error.
type Failure struct {
	Success  bool         `json:"success"` // always false
	Error    string       `json:"error"`
	Code     string       `json:"code"`
	*Receipt              // nil when the request never came to a file
	Files    []FileAnswer `json:"files,omitempty"`
}

// FileAnswer is the result of one of several files.
type FileAnswer struct {
	Success bool   `json:"success"`
	Error   string `json:"error,omitempty"`
	Code    string `json:"code,omitempty"`
	*Receipt
}

// Response returns the answer of an upload of which everything was accepted.
func (o *Outcome) Response() Success { return Success{true, o.Whole, o.fileAnswers()} }

// ErrorResponse returns the answer of an upload that has an error, with the receipts of stored records.
func (o *Outcome) ErrorResponse(r *Refusal) Failure {
	if o.Whole.Size == 0 && len(o.Files) < 2 {
		return Failure{Error: r.Text, Code: r.Code}
	}
	text := r.Text
	if r.Code != CodeSomeRefused {
		text += "; " + o.Whole.storedText()
	}
	return Failure{Error: text, Code: r.Code, Receipt: o.Whole, Files: o.fileAnswers()}
}

// fileAnswers returns the receipts of several files; nil for one.
func (o *Outcome) fileAnswers() []FileAnswer {
	if len(o.Files) < 2 {
		return nil
	}
	out := make([]FileAnswer, len(o.Files))
	for i, t := range o.Files {
		out[i] = FileAnswer{Success: t.Err == nil, Receipt: t.Receipt}
		if t.Err != nil {
			r := RefusalOf(t.Err)
			out[i].Error, out[i].Code = r.Text, r.Code
		}
	}
	return out
}
