// Package access decides who may do what.
//
// In: requests with their credentials, and the right that a route, field, operation or command needs. Out: the principal, with
// the scope that selects the telemetry it may see, or a refusal. It never looks at telemetry: readers take the scope from the
// request's context (ScopeFrom) and leave out everything else.
//
// Principals are identified by static tokens and client certificates, which a file lists, and by the tokens of an OpenID Connect
// issuer. Without any of these everybody may do everything (open mode); Config.CheckExposed keeps the listeners of such a
// process on its machine. Requests from pages of other sites are refused in every mode.
//
//	Guard     identifies callers, and ends the sessions of revoked and expired ones
//	Gate      the guard of one listener: Gate.CheckSite, then Gate.Admit
//	Right     what a surface asks for; the zero Right is refused
//	Scope     the telemetry that a principal may read or write
package access
