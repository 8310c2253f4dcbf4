package ingest

import "encoding/json"

// maxReceipt bounds the answer that is kept of an upload in the background.
const maxReceipt = 32 << 10

// keepsake is an answer that is small enough to be kept. What its receipts list is shortened as far as it
// takes, and the counts stay; of very many files only the sums are left.
func keepsake(body any, receipts []*receipt) json.RawMessage {
	text, err := json.Marshal(body)
	for most := 200; err == nil && len(text) > maxReceipt && most > 0; most /= 4 {
		for _, r := range receipts {
			r.shorten(most)
		}
		text, err = json.Marshal(body)
	}
	if err == nil && len(text) > maxReceipt {
		text, err = json.Marshal(receipts[0])
	}
	if err != nil {
		return nil
	}
	return text
}

// shorten leaves out of each list what is behind so many.
func (r *receipt) shorten(most int) {
	r.Headers = r.Headers[:min(len(r.Headers), most)]
	r.Errors = r.Errors[:min(len(r.Errors), most)]
	r.Absences = r.Absences[:min(len(r.Absences), most)]
	r.Implausible = r.Implausible[:min(len(r.Implausible), most)]
	r.Warnings = r.Warnings[:min(len(r.Warnings), most)]
}

// receipts are that of the upload as a whole, then those of its files.
func (o *outcome) receipts() []*receipt {
	all := []*receipt{o.whole}
	for _, t := range o.files {
		all = append(all, t.receipt)
	}
	return all
}
