package rest

import (
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// form is a media type in which history can be written.
type form string

const (
	asJSON   form = "application/json"
	asNDJSON form = "application/x-ndjson"
	asCSV    form = "text/csv"
)

// forms lists all forms by their word in the parameter format.
var forms = []struct { // never written
	word string
	form form
}{{"json", asJSON}, {"ndjson", asNDJSON}, {"csv", asCSV}}

const formsTaken = "json, ndjson or csv"

// formOf returns the form of an answer: the one named by the parameter format, which serves browsers, else the one
// that the Accept header prefers, else JSON.
func formOf(c *fiber.Ctx, p params) (form, error) {
	if word, given := p.singleValue("format"); given {
		for _, f := range forms {
			if f.word == word {
				return f.form, nil
			}
		}
		return "", badParameter("format", word, formsTaken)
	}
	c.Vary(fiber.HeaderAccept)
	accept := strings.Join(c.GetReqHeaders()[fiber.HeaderAccept], ",")
	if f := acceptedForm(accept); f != "" {
		return f, nil
	}
	text := fmt.Sprintf("Accept: %s takes none of the forms that history has: %s, %s, %s", accept, asJSON, asNDJSON, asCSV)
	return "", &Error{Status: http.StatusNotAcceptable, Code: NotAcceptable, Text: text}
}

// mediaRange is a media range of an Accept header.
type mediaRange struct {
	media  string
	weight float64
}

// acceptedForm returns the form that an Accept header takes with the greatest weight, of several the one named first.
// It returns "" if the header takes none.
func acceptedForm(accept string) form {
	if strings.TrimSpace(accept) == "" {
		return asJSON
	}
	var ranges []mediaRange
	for part := range strings.SplitSeq(accept, ",") {
		media, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		w := mediaRange{media, 1}
		if text, given := params["q"]; given {
			if w.weight, err = strconv.ParseFloat(text, 64); err != nil {
				continue
			}
		}
		ranges = append(ranges, w)
	}
	best, weight, rank := form(""), 0.0, 0
	for _, f := range forms {
		at, w := mediaWeight(ranges, string(f.form))
		if w > weight || (w == weight && w > 0 && at < rank) {
			best, weight, rank = f.form, w, at
		}
	}
	return best
}

// mediaWeight returns the weight of a media type, by the most specific range that matches it, and the position of
// that range.
func mediaWeight(ranges []mediaRange, media string) (at int, weight float64) {
	kind, _, _ := strings.Cut(media, "/")
	for _, pattern := range []string{media, kind + "/*", "*/*"} {
		if i := slices.IndexFunc(ranges, func(w mediaRange) bool { return w.media == pattern }); i >= 0 {
			return i, ranges[i].weight
		}
	}
	return 0, 0
}
