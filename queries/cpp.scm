(function_definition declarator: (_
  declarator: [(qualified_identifier) (field_identifier) (destructor_name)] @function.name)) @function
(function_definition declarator: (_ declarator: (_
  declarator: [(qualified_identifier) (field_identifier)] @function.name))) @function
(class_specifier name: (type_identifier) @class.name body: (_)) @class
(base_class_clause [(type_identifier) (qualified_identifier)] @base)
(base_class_clause (template_type name: (type_identifier) @base))
(call_expression function: (qualified_identifier) @call)
(call_expression function: (template_function name: (_) @call))
(new_expression type: (type_identifier) @call)
