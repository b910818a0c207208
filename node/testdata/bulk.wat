;; Fills all its memory, again and again: each time is one instruction, which nothing interrupts.
(module
  (memory (export "memory") 1000)
  (func (export "_start")
    loop $again
      (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536000))
      br $again
    end))
