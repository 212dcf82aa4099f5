variable "queue_name" {
  description = "Queue that carries the tasks (SQS_QUEUE_NAME)."
  type        = string
  default     = "aforo-videos"
}

variable "bucket_name" {
  description = "Bucket of the inputs and outputs (AWS_S3_BUCKET). Its name is unique in all of AWS."
  type        = string
}

variable "visibility_timeout_seconds" {
  description = "Seconds until the message of a killed worker is visible again (AFORO_QUEUE_VISIBILITY_TIMEOUT_SECONDS)."
  type        = number
  default     = 60
}

variable "max_receive_count" {
  description = "Receives before SQS moves a message to the dead-letter queue. At least 5."
  type        = number
  default     = 8

  validation {
    condition     = var.max_receive_count >= 5
    error_message = "Not every receive leads to an execution, so the worker requires 5 or more."
  }
}

variable "upload_prefix" {
  description = "Prefix of the inputs (S3_UPLOAD_PREFIX)."
  type        = string
  default     = "uploads/"
}

variable "processed_prefix" {
  description = "Prefix of the outputs (S3_PROCESSED_PREFIX)."
  type        = string
  default     = "processed/"
}

variable "output_days" {
  description = "Days after which an output is removed."
  type        = number
  default     = 7
}

variable "trusted_services" {
  description = "AWS services that may use the roles: tasks of ECS, machines of EC2."
  type        = list(string)
  default     = ["ecs-tasks.amazonaws.com", "ec2.amazonaws.com"]
}

variable "oidc_provider_arn" {
  description = "IAM's OIDC provider of an EKS cluster, whose service accounts may then use the roles. Empty without EKS."
  type        = string
  default     = ""

  validation {
    condition     = var.oidc_provider_arn == "" || can(regex(":oidc-provider/.", var.oidc_provider_arn))
    error_message = "Give an ARN such as arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/ABC."
  }
}

variable "keda_service_account" {
  description = "Namespace and service account of KEDA's operator in that cluster."
  type        = string
  default     = "keda:keda-operator"
}

variable "allow_matrix" {
  description = "Let the injector's role also cancel queued videos, for `make matrix` and `make search`."
  type        = bool
  default     = true
}
