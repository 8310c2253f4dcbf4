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

// form is how history is written.
type form string

// The forms.
const (
	asJSON   form = "application/json"
	asNDJSON form = "application/x-ndjson"
	asCSV    form = "text/csv"
)

// forms are all of them, by the word of the parameter format.
var forms = []struct { // never written
	word string
	form form
}{{"json", asJSON}, {"ndjson", asNDJSON}, {"csv", asCSV}}

const formsTaken = "json, ndjson or csv"

// formOf picks the form of an answer: that of the parameter format, for browsers, else what the client accepts
// most, else JSON.
func formOf(c *fiber.Ctx, p params) (form, error) {
	if word, given := p.one("format"); given {
		for _, f := range forms {
			if f.word == word {
				return f.form, nil
			}
		}
		return "", badParameter("format", word, formsTaken)
	}
	c.Vary(fiber.HeaderAccept)
	accept := strings.Join(c.GetReqHeaders()[fiber.HeaderAccept], ",")
	if f := accepted(accept); f != "" {
		return f, nil
	}
	text := fmt.Sprintf("Accept: %s takes none of the forms that history has: %s, %s, %s", accept, asJSON, asNDJSON, asCSV)
	return "", &Error{Status: http.StatusNotAcceptable, Code: NotAcceptable, Text: text}
}

// wish is a media range of an Accept header.
type wish struct {
	media  string
	weight float64
}

// accepted gives the form that an Accept header takes with the greatest weight, of several the one that is named
// first; "" when it takes none.
func accepted(accept string) form {
	if strings.TrimSpace(accept) == "" {
		return asJSON
	}
	var wishes []wish
	for part := range strings.SplitSeq(accept, ",") {
		media, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		w := wish{media, 1}
		if text, given := params["q"]; given {
			if w.weight, err = strconv.ParseFloat(text, 64); err != nil {
				continue
			}
		}
		wishes = append(wishes, w)
	}
	best, weight, rank := form(""), 0.0, 0
	for _, f := range forms {
		at, w := weighed(wishes, string(f.form))
		if w > weight || (w == weight && w > 0 && at < rank) {
			best, weight, rank = f.form, w, at
		}
	}
	return best
}

// weighed gives the weight of a media type, by the range that says most about it, and the place of that range.
func weighed(wishes []wish, media string) (at int, weight float64) {
	kind, _, _ := strings.Cut(media, "/")
	for _, said := range []string{media, kind + "/*", "*/*"} {
		if i := slices.IndexFunc(wishes, func(w wish) bool { return w.media == said }); i >= 0 {
			return i, wishes[i].weight
		}
	}
	return 0, 0
}
