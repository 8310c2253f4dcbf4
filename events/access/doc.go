// Package access decides who may do what.
package access
