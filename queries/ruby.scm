(class name: [(constant) (scope_resolution)] @class.name) @class
(module name: [(constant) (scope_resolution)] @class.name) @class
(method name: (_) @function.name) @function
(singleton_method name: (_) @function.name) @function
(superclass [(constant) (scope_resolution)] @base)
(call method: (identifier) @include arguments: (argument_list [(constant) (scope_resolution)] @base)
  (#any-of? @include "include" "extend" "prepend"))
(call method: (identifier) @required (#any-of? @required "require" "require_relative")) @import
(assignment left: (constant) @variable)
(call method: (identifier) @method)
