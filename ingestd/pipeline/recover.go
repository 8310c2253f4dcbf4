package pipeline

import (
	"fmt"
	"runtime/debug"
)

// RecoverToError calls do and returns its error. A panic becomes an error, so that it ends one upload and not the process.
func RecoverToError(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return do()
}
