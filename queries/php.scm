(class_declaration name: (name) @class.name) @class
(interface_declaration name: (name) @class.name) @class
(trait_declaration name: (name) @class.name) @class
(enum_declaration name: (name) @class.name) @class
(method_declaration name: (name) @function.name) @function
(function_definition name: (name) @function.name) @function
(base_clause [(name) (qualified_name)] @base)
(class_interface_clause [(name) (qualified_name)] @base)
(use_declaration [(name) (qualified_name)] @base)
(namespace_use_declaration) @import
(require_expression) @import
(require_once_expression) @import
(include_expression) @import
(include_once_expression) @import
(function_call_expression function: [(name) (qualified_name)] @call)
(member_call_expression name: (name) @method)
(scoped_call_expression name: (name) @method)
(object_creation_expression [(name) (qualified_name)] @call)
