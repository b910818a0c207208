;; Starts with a table of 200 million elements.
(module
  (table 200000000 funcref)
  (func (export "_start")))
