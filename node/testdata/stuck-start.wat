;; The start function never ends: instantiating is guest code, too.
(module (memory (export "memory") 1) (func $f loop br 0 end) (start $f) (func (export "_start")))
