package rest

import (
	"bytes"
	"compress/gzip"
	"embed"
	"io"
	"net/http"
	"path"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// The description of the API is written by hand in openapi.yaml; openapi.json is the same, made by `go test
// -run OpenAPI -update`. Swagger UI comes from npm by docs/vendor.sh; nothing is loaded from elsewhere.
//
//go:embed openapi.yaml openapi.json docs/index.html docs/start.js docs/*.gz
var assets embed.FS

// docsPolicy lets the page load from this server only.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// docsTypes maps the files of the page to their media types.
var docsTypes = map[string]string{
	"index.html":           "text/html; charset=utf-8",
	"start.js":             "text/javascript; charset=utf-8",
	"swagger-ui-bundle.js": "text/javascript; charset=utf-8",
	"swagger-ui.css":       "text/css; charset=utf-8",
	"LICENSE.txt":          "text/plain; charset=utf-8",
}

func openapiJSON(c *fiber.Ctx) error {
	return sendAsset(c, "openapi.json", "application/json; charset=utf-8")
}

func openapiYAML(c *fiber.Ctx) error {
	return sendAsset(c, "openapi.yaml", "application/yaml; charset=utf-8")
}

// docsPage answers GET /docs.
func docsPage(c *fiber.Ctx) error {
	c.Set(fiber.HeaderContentSecurityPolicy, docsPolicy)
	c.Set(fiber.HeaderCacheControl, "no-cache")
	return sendAsset(c, "docs/index.html", docsTypes["index.html"])
}

// docsFile answers GET /docs/{file}.
func docsFile(c *fiber.Ctx) error {
	name := c.Params("file")
	kind, ok := docsTypes[name]
	if !ok {
		return fiber.ErrNotFound
	}
	c.Set(fiber.HeaderContentSecurityPolicy, docsPolicy)
	c.Set(fiber.HeaderCacheControl, "public, max-age=3600")
	return sendAsset(c, path.Join("docs", name), kind)
}

// sendAsset sends an embedded file. A file that is embedded compressed is sent compressed if the client accepts gzip.
func sendAsset(c *fiber.Ctx, name, kind string) error {
	c.Set(fiber.HeaderContentType, kind)
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	if plain, err := assets.ReadFile(name); err == nil {
		return c.Send(plain)
	}
	packed, err := assets.ReadFile(name + ".gz")
	if err != nil {
		return &Error{http.StatusInternalServerError, Internal, "internal error", err}
	}
	c.Set(fiber.HeaderVary, fiber.HeaderAcceptEncoding)
	if strings.Contains(c.Get(fiber.HeaderAcceptEncoding), "gzip") {
		c.Set(fiber.HeaderContentEncoding, "gzip")
		return c.Send(packed)
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return &Error{http.StatusInternalServerError, Internal, "internal error", err}
	}
	plain, err := io.ReadAll(unpacked)
	if err != nil {
		return &Error{http.StatusInternalServerError, Internal, "internal error", err}
	}
	return c.Send(plain)
}
