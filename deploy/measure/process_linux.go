package measure

import "syscall"

// endWithParent has the kernel end a server when the process that measures it ends without stopping it.
func endWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }
