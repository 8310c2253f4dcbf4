// Package helm holds the Helm chart telemetry-pipeline and the tests that render it. Helm and the types of Kubernetes are
// imported here alone, by tests: no program links them.
package helm
