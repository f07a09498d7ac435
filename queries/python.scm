(class_definition name: (identifier) @class.name) @class
(function_definition name: (identifier) @function.name) @function
(class_definition superclasses: (argument_list [(identifier) (attribute)] @base))
(import_statement) @import
(import_from_statement) @import
(call function: [(identifier) (attribute)] @call)
(decorator [(identifier) (attribute)] @call)
(assignment left: (identifier) @variable)
(parameters) @parameters
(lambda_parameters) @parameters
