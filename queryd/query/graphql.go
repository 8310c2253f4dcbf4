package query

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"telemetry-pipeline/queryd/graph"
)

// executor executes GraphQL over HTTP (graph.Engine).
type executor interface {
	Execute(ctx context.Context, req graph.Request) graph.Result
}

// requestStatus is the result of a GraphQL request over HTTP.
type requestStatus int

const (
	answered     requestStatus = iota // executed; data may hold errors beside it
	refused                           // the document or its variables are not valid
	malformed                         // not a GraphQL request
	notJSON                           // a body in another form
	notByGet                          // a mutation by GET
	notOverHTTP                       // a subscription
	excessive                         // a document over a bound, or one with a cycle
	unanswered                        // the requested data is unavailable, or not available in time
	unacceptable                      // no media type that the client takes
)

const (
	plainJSON   = "application/json"
	graphqlJSON = "application/graphql-response+json"

	maxDocument = 256 << 10 // bytes of a POST body

	// A longer body is read up to this size, so that the client receives an answer instead of a reset connection.
	maxGraphQLBody = 8 << 20
)

// statuses holds all statuses by outcome and media type (GraphQL over HTTP, as the audits of graphql-http have it).
var statuses = map[requestStatus]map[string]int{
	answered:     {plainJSON: http.StatusOK, graphqlJSON: http.StatusOK},
	refused:      {plainJSON: http.StatusOK, graphqlJSON: http.StatusBadRequest},
	malformed:    {plainJSON: http.StatusBadRequest, graphqlJSON: http.StatusBadRequest},
	notJSON:      {plainJSON: http.StatusUnsupportedMediaType, graphqlJSON: http.StatusUnsupportedMediaType},
	notByGet:     {plainJSON: http.StatusMethodNotAllowed, graphqlJSON: http.StatusMethodNotAllowed},
	notOverHTTP:  {plainJSON: http.StatusBadRequest, graphqlJSON: http.StatusBadRequest},
	excessive:    {plainJSON: http.StatusBadRequest, graphqlJSON: http.StatusBadRequest},
	unanswered:   {plainJSON: http.StatusOK, graphqlJSON: http.StatusServiceUnavailable},
	unacceptable: {plainJSON: http.StatusNotAcceptable, graphqlJSON: http.StatusNotAcceptable},
}

// serveGraphQL answers GET and POST /graphql.
func (s *front) serveGraphQL(c *fiber.Ctx, by executor) error {
	media, ok := negotiateMedia(c.Get(fiber.HeaderAccept))
	if !ok {
		return sendError(c, plainJSON, unacceptable, "Accept must take "+plainJSON+" or "+graphqlJSON)
	}
	req, bad, text := readGraphQL(c)
	if bad != answered {
		return sendError(c, media, bad, text)
	}
	ctx, cancel := context.WithTimeout(c.UserContext(), s.cfg.GraphQLTimeout)
	defer cancel()
	result := by.Execute(ctx, req)
	return sendResponse(c, media, outcomeOf(c.Method(), result), result.JSON)
}

// outcomeOf returns the outcome of a request. The schema has no mutation, so a mutation by GET has done nothing when
// it is refused here.
func outcomeOf(method string, r graph.Result) requestStatus {
	switch {
	case r.Operation == "mutation" && method != http.MethodPost:
		return notByGet
	case r.Operation == "subscription":
		return notOverHTTP
	case r.Excessive:
		return excessive
	case r.Unanswered:
		return unanswered
	case r.Refused:
		return refused
	default:
		return answered
	}
}

// bodyLimit allows maxGraphQLBody for /graphql; everything else keeps the app's limit.
func bodyLimit(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	path, _, _ := bytes.Cut(h.RequestURI(), []byte("?"))
	if string(path) == "/graphql" {
		return fasthttp.RequestConfig{MaxRequestBodySize: maxGraphQLBody}
	}
	return fasthttp.RequestConfig{}
}

// sendResponse sends a GraphQL response with the status of its outcome.
func sendResponse(c *fiber.Ctx, media string, o requestStatus, body []byte) error {
	if o == notByGet {
		c.Set(fiber.HeaderAllow, http.MethodPost)
	}
	status := statuses[o][media]
	if status == http.StatusServiceUnavailable {
		c.Set(fiber.HeaderRetryAfter, "1")
	}
	c.Vary(fiber.HeaderAccept)
	c.Set(fiber.HeaderContentType, media+"; charset=utf-8")
	return c.Status(status).Send(body)
}

func sendError(c *fiber.Ctx, media string, o requestStatus, text string) error {
	type message struct {
		Message string `json:"message"`
	}
	body, err := json.Marshal(map[string][]message{"errors": {{text}}})
	if err != nil {
		return err
	}
	return sendResponse(c, media, o, body)
}

// readGraphQL parses the request of either method; an outcome other than answered refuses it.
func readGraphQL(c *fiber.Ctx) (graph.Request, requestStatus, string) {
	if c.Method() != http.MethodPost {
		return fromQuery(c)
	}
	media, params, err := mime.ParseMediaType(c.Get(fiber.HeaderContentType))
	charset := cmp.Or(params["charset"], "utf-8")
	if err != nil || media != plainJSON || !strings.EqualFold(charset, "utf-8") {
		return graph.Request{}, notJSON, "send the request as " + plainJSON + " in UTF-8"
	}
	if len(c.Request().Body()) > maxDocument {
		return graph.Request{}, excessive, fmt.Sprintf("the request has more than %d bytes", maxDocument)
	}
	return fromBody(c.Request().Body())
}

// fromQuery parses the parameters of a GET.
func fromQuery(c *fiber.Ctx) (graph.Request, requestStatus, string) {
	fields := map[string]json.RawMessage{}
	for _, name := range []string{"query", "operationName"} {
		if c.Context().QueryArgs().Has(name) {
			text, err := json.Marshal(c.Query(name))
			if err != nil {
				return graph.Request{}, malformed, name + " is not text"
			}
			fields[name] = text
		}
	}
	for _, name := range []string{"variables", "extensions"} {
		if text := c.Query(name); text != "" {
			fields[name] = json.RawMessage(text)
		}
	}
	return fromFields(fields)
}

// fromBody parses the body of a POST.
func fromBody(body []byte) (graph.Request, requestStatus, string) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return graph.Request{}, malformed, `the body must be a JSON object such as {"query":"{ cluster { gpuCount } }"}`
	}
	return fromFields(fields)
}

// fromFields parses the parameters and checks their types.
func fromFields(fields map[string]json.RawMessage) (req graph.Request, bad requestStatus, text string) {
	var query, name *string
	if text, there := fields["query"]; !there || json.Unmarshal(text, &query) != nil || query == nil || *query == "" {
		return req, malformed, "query must be the document, as text"
	}
	if text, there := fields["operationName"]; there && json.Unmarshal(text, &name) != nil {
		return req, malformed, "operationName must be text"
	}
	req.Query = *query
	if name != nil {
		req.OperationName = *name
	}
	var extensions map[string]any
	for member, to := range map[string]*map[string]any{"variables": &req.Variables, "extensions": &extensions} {
		if text, there := fields[member]; there && !bytes.Equal(text, []byte("null")) && json.Unmarshal(text, to) != nil {
			return req, malformed, member + " must be a JSON object"
		}
	}
	return req, answered, ""
}

// negotiateMedia returns the media type of the answer: plain JSON without an Accept header, at equal weight the one
// named first.
func negotiateMedia(accept string) (media string, ok bool) {
	if accept == "" {
		return plainJSON, true
	}
	best := 0.0
	for part := range strings.SplitSeq(accept, ",") {
		kind, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		weight := 1.0
		if q, err := strconv.ParseFloat(params["q"], 64); err == nil {
			weight = q
		}
		switch kind {
		case "*/*", "application/*", plainJSON:
			kind = plainJSON
		case graphqlJSON:
		default:
			continue
		}
		if weight > best {
			media, best = kind, weight
		}
	}
	return media, media != ""
}
