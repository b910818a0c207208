;; Asks for 4 GiB at once.
(module (memory (export "memory") 65536) (func (export "_start")))
