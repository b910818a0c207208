;; The entry point has a parameter: nobody can call it as WASI says.
(module (memory (export "memory") 1) (func (export "_start") (param i32)))
